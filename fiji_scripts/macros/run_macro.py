#@ String macro (required=false, persist=false)
#@ String argument (required=false, persist=false)
"""Run a macro file without a window and end Java with an exit code that can be trusted.

    ./fiji --headless --run macros/zooferry/run_macro.py 'macro="/data/my macro.ijm",argument="/data/cell.tif|my model"'
    ./ImageJ-linux64 --ij2 --headless --run macros/zooferry/run_macro.py 'macro="...",argument="..."'

0: the macro came to its end, and no Zooferry command failed in it. 1: anything else; Fiji itself would say 0.
"""

from zooferry_fiji import ending

ending.end(ending.run_macro(globals().get("macro"), globals().get("argument")), True)
