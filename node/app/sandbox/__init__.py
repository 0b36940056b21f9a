"""Four firms on one machine: a bread's story from wheat to shelf, with a contamination planted in it.

`story.py` is the plot as EPCIS documents (`writing.py` has the words for events, `trade.py` the goods and places),
`processes.py` runs the four nodes, `show.py` tells the story to them and prints what comes out.
"""
