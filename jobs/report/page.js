"use strict";
// One sound at a time; the outline above a player shows how far it is, and seeks where it is clicked.
const sounds = [...document.querySelectorAll("audio")];
for (const sound of sounds) {
  const outline = sound.parentElement.querySelector(".outline");
  const show = () => outline.style.setProperty("--played", `${(100 * sound.currentTime) / (sound.duration || 1)}%`);
  sound.addEventListener("play", () => sounds.forEach((other) => other === sound || other.pause()));
  sound.addEventListener("timeupdate", show);
  sound.addEventListener("seeked", show);
  outline.addEventListener("click", (event) => {
    const box = outline.getBoundingClientRect();
    const share = (event.clientX - box.left) / box.width;
    const seek = () => { sound.currentTime = share * sound.duration; sound.play(); };
    if (sound.readyState) { seek(); } else { sound.addEventListener("loadedmetadata", seek, { once: true }); sound.load(); }
  });
}
