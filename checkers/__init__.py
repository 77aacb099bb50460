"""History in, verdict out."""
