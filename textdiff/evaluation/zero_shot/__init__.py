"""Which of some classes a picture shows, by a CLIP that was trained for none of them."""
