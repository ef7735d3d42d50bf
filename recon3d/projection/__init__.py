"""The projection operator and its exact adjoint."""
