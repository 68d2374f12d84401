"""Songs from a file of orders."""
