"""Where are vectors kept?"""
