"""What runs inside every image: one server, one engine, real models."""
