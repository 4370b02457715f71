"""The whole job in one command: photos in, a model and a report out."""
