"""Configuration as files: one document format, read with positions, compared, applied in one transaction, written back.

parse     text → nodes that know their line and column        (pure)
kinds     what a value may be                                 (pure)
document  the keys: their kinds, defaults and meanings        (pure)
schema    nodes → Configuration, or every problem there is    (pure)
difference  two documents → what changes between them         (pure)
rendering   Configuration → YAML or JSON                      (pure)
dump      the database → Configuration
apply     Configuration → the database, all or nothing
"""
