"""The pages under `/dashboard/`: plain templates for signed-in staff, each with one small JavaScript module."""
