/// Nobody reads the output any more: the reason to end quietly.
struct OutputClosed: Error {}
