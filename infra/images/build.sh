#!/usr/bin/env bash
# Builds an image of this checkout: build.sh cpu|cuda|mlflow|s3. NAME, DOCKER and TORCH_FIND_LINKS may be set.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
target=${1:?usage: build.sh cpu|cuda|mlflow|s3}
case $target in
    cpu | cuda) file=infra/images/Dockerfile ;;
    mlflow | s3) file=infra/images/services.Dockerfile ;;
    *)
        echo "build: no image '$target'; expected cpu, cuda, mlflow or s3" >&2
        exit 2
        ;;
esac
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
image=${NAME:-levo}:$version-$target
constraints=$(sha256sum constraints.txt | cut -d' ' -f1)
commit=$(git rev-parse HEAD 2>/dev/null || true)
modified=$([ -z "$(git status --porcelain 2>/dev/null)" ] && echo false || echo true)
DOCKER_BUILDKIT=1 "${DOCKER:-docker}" build --file "$file" --target "$target" --tag "$image" \
    --build-arg "LEVO_IMAGE=$image" --build-arg "LEVO_CONSTRAINTS_SHA256=$constraints" \
    --build-arg "LEVO_COMMIT=$commit" --build-arg "LEVO_COMMIT_MODIFIED=$modified" \
    --build-arg "TORCH_FIND_LINKS=${TORCH_FIND_LINKS:-}" .
echo "build: $image"
