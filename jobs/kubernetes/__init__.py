"""What a scheduled pod does on Kubernetes: it makes a night's RayJob out of a template, and waits for its end."""
