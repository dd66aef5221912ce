"""A seal: what one hub gave out, it knows again, and so do those with the same secret."""

from pegboard.seal import Seal

SECRET = "a secret of thirty-two characters"


def test_what_it_signed_it_knows_again() -> None:
    seal = Seal()

    assert seal.fits(seal.sign("cursor", 1, None), "cursor", 1, None)
    assert not seal.fits(seal.sign("cursor", 1, None), "cursor", 2, None)


def test_nobody_else_does_but_one_with_the_same_secret() -> None:
    signature = Seal.of(SECRET).sign("cursor")

    assert Seal.of(SECRET).fits(signature, "cursor")
    assert not Seal.of(f"{SECRET}!").fits(signature, "cursor")
    assert not Seal().fits(signature, "cursor")
