"""What a signer allows. Everything that is not allowed here is refused.

`announce` and `sign` are the two flows that move coins, `onboarding` the three before them; each reads as a
list of named steps. `reconciliation` stands before all. README.md of `signers` tells the life of an intent.
"""
