"""Stored prompts and answers as a data set: which rows, in which format, into which file.

query      which rows, and how they are read with bounded memory
formats    a row as a line of OpenAI's fine-tuning format, of ShareGPT, or as it is; pure
seen       which lines were written already, on disk
files      segments, checkpoints, gzip, Parquet
archive    an export as a ZIP file that is made while it is downloaded
exporter   the run, its manifest, and going on after an interruption
"""

from routing.export.archive import archive
from routing.export.exporter import Counts, Export, ExportFailed, Progress
from routing.export.query import ExportQuery

__all__ = ["Counts", "Export", "ExportFailed", "ExportQuery", "Progress", "archive"]
