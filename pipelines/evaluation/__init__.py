"""Songs held to judges: what the papers call objective evaluation."""
