"""What users and plugins call: images to files and back, with a frozen model. No torch here."""
