"""The song model in plain PyTorch: it knows no Ray, no DeepSpeed, no MLflow and no bucket."""
