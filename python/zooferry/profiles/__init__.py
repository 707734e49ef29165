"""The linter's rules: a file per theme, each ending in the tuple of its rules; ``zooferry.linting`` runs them.

A rule is a function from an open package to the findings it has; its findings carry its name as their id
(``fiji_size_min`` -> ``fiji-size-min``). Rules read the description and the files, and import nothing of a package.
"""
