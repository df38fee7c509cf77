//! What is taken and what is refused, with the first error's text.
