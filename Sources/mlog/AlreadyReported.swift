/// Not everything could be done, and that has been said where it was found.
struct AlreadyReported: Error {}
