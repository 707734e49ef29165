"""The class `Jython` by which plain ImageJ runs a .py of its plugins folder (it comes with ImageJ's own Jython.jar)."""

from java.lang import ClassLoader
from javassist import ClassPool, CtNewMethod

METHODS = (
    "public String run(String script, String argument) {"
    " new org.python.util.PythonInterpreter().exec(script); return null; }",
    'public String getReturnValue() { return ""; }',
    'public String getName() { return "Jython"; }',
    'public String getImports() { return ""; }',
    'public String getVersion() { return "2.7"; }',
)


def make_interpreter():
    """Define it in the default package, where ImageJ looks for it."""
    pool = ClassPool(True)
    made = pool.makeClass("Jython", pool.get("ij.plugin.PlugInInterpreter"))
    for method in METHODS:
        made.addMethod(CtNewMethod.make(method, made))
    made.toClass(ClassLoader.getSystemClassLoader(), None)
