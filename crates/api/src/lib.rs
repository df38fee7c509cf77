//! Every public HTTP route on one page.
