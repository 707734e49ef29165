"""A list of findings as text, as HTML and in a window."""

OK, WARNING, BAD = "ok", "warning", "bad"
COLOURS = {OK: "#2e7d32", WARNING: "#b26a00", BAD: "#c62828"}
TITLE = "Check Zooferry Installation"


def summary(rows):
    """One line: "all is well (12 checks)" or what is not. Pure.

    Parameters
    ----------
    rows : list of (str, str, str, str)
        State, name, what was found, cure.
    """
    bad = [name for state, name, _, _ in rows if state == BAD]
    warnings = [name for state, name, _, _ in rows if state == WARNING]
    if not bad and not warnings:
        return "all is well (%d checks)" % len(rows)
    parts = [("%d bad: " % len(bad) + ", ".join(bad)) if bad else "nothing bad"]
    if warnings:
        parts.append("%d to look at: %s" % (len(warnings), ", ".join(warnings)))
    return "; ".join(parts)


def as_text(rows):
    """One line a finding, each cure in a line of its own below. Pure."""
    width = max(len(row[1]) for row in rows)
    lines = ["Zooferry installation: " + summary(rows)]
    for state, name, what, cure in rows:
        lines.append("%-8s %-*s  %s" % (state, width, name, what))
        if cure:
            lines.append("%-8s %-*s  -> %s" % ("", width, "", cure))
    return "\n".join(lines)


def as_html(rows):
    """A table for Swing, which knows HTML 3.2 only. Pure."""
    cells = []
    for state, name, what, cure in rows:
        shown = escaped(what) + ("<br><i>%s</i>" % escaped(cure) if cure else "")
        cells.append(
            '<tr valign="top"><td><font color="%s"><b>%s</b></font></td><td><b>%s</b></td><td>%s</td></tr>'
            % (COLOURS[state], state, escaped(name).replace(" ", "&nbsp;"), shown)
        )
    head = "<p><b>%s</b></p>" % escaped(summary(rows))
    return '<html><body style="font-family: sans-serif">%s<table cellpadding="4">%s</table></body></html>' % (
        head,
        "".join(cells),
    )


def escaped(words):
    """Text that HTML leaves as it is. Pure."""
    return words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def show(rows, words, status):
    """In a window with a button that copies the text; without a display in the log."""
    from ij import IJ
    from java.awt import GraphicsEnvironment

    if GraphicsEnvironment.isHeadless() or IJ.getInstance() is None:
        IJ.log(words)
        return
    from java.awt import EventQueue
    from java.lang import Runnable

    class Open(Runnable):
        def run(self):
            _open(rows, words)

    IJ.showStatus(status)
    EventQueue.invokeLater(Open())


def _open(rows, words):
    from java.awt import BorderLayout, Dimension, FlowLayout, Toolkit
    from java.awt.datatransfer import StringSelection
    from javax.swing import JButton, JEditorPane, JFrame, JPanel, JScrollPane

    frame = JFrame(TITLE)
    pane = JEditorPane("text/html", as_html(rows))
    pane.setEditable(False)
    pane.setCaretPosition(0)
    copy = JButton("Copy to clipboard")
    close = JButton("Close")

    def copied(_event):
        Toolkit.getDefaultToolkit().getSystemClipboard().setContents(StringSelection(words), None)
        copy.setText("Copied")

    copy.addActionListener(copied)
    close.addActionListener(lambda _event: frame.dispose())
    buttons = JPanel(FlowLayout(FlowLayout.RIGHT))
    buttons.add(copy)
    buttons.add(close)
    scroll = JScrollPane(pane)
    scroll.setPreferredSize(Dimension(820, 480))
    frame.add(scroll, BorderLayout.CENTER)
    frame.add(buttons, BorderLayout.SOUTH)
    frame.pack()
    frame.setLocationRelativeTo(None)
    frame.setVisible(True)
