//! The routes, driven through the router.
