"""What is in a model, and in its file?"""
