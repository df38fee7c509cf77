//! Object storage as Varve uses it: paths, retries, caches, the catalog, garbage collection.
