"""Which classifiers are there, and how are they scaled, calibrated and tuned?"""
