"""What can be typed after `aerekos`, a file for each topic. What a command does lives beside this folder."""
