//! The PromQL language: parser, plan, evaluator, functions.
