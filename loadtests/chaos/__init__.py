"""`make chaos`: real faults under steady load, each with the control that shows what protects from it.

HTTP and processes only: the service is started by its command line, Redis by its binary.
"""
