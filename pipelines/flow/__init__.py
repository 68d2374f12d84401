"""What every flow is made of: stage, identity and snapshot."""
