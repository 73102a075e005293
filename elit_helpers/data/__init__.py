"""What there is by name: real frames of others, and what ships in the project's own `data` folder."""
