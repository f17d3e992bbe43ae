"""How servers that are forks of a prepared process hash passwords: in production's form, which every server reads."""

from django.contrib.auth.hashers import PBKDF2PasswordHasher


class QuickHasher(PBKDF2PasswordHasher):
    """Production's million rounds take half a second of processor time for each password that is set or typed."""

    iterations = 1
