"""Put Zooferry into a Fiji folder, look after it there, and take it out again. Importing this starts nothing."""
