#@output Boolean passed
#@output String status
#@output String report
"""Plugins > Zooferry > Check Zooferry Installation: what is well here, what is not, and the cure.

Shown in a window with a button that copies it; headless in the log. `passed` is false if anything is red.
"""

from zooferry_fiji import ask, ending, examine

passed, status, report = examine.command()
ask.unlisted(globals().get("org.scijava.script.ScriptModule"), ["passed", "status", "report"])
ending.end(passed)
