package results

// PurposeAA is Run.Purpose of a run that compares a server with itself, to learn how large the noise is.
const PurposeAA = "aa"

// PurposePilot is Run.Purpose of a run that only finds out what another one needs to know.
const PurposePilot = "pilot"

// PurposeExplain is Run.Purpose of trials that `millrace explain` makes: they are looked at while they run, and so measure
// nothing.
const PurposeExplain = "explain"
