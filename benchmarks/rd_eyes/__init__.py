"""What `benchmarks/rd.py` is made of: pictures, codecs, metrics, a table of measurements, reports.

pictures --codecs--> files --metrics--> table (CSV) --bd, plot, crops--> what people read
"""
