"""What does a model say of a new photo?"""
