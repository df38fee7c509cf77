//! Functions of ranges of histograms.
use crate::engine::EngineError;
use crate::eval::range::{Histograms, Output, Scope, Window};
use crate::eval::range::RateKind;

pub(crate) fn extrapolated(_s: &Scope<'_>, _w: &Window<'_>, _st: bool, _k: RateKind) -> Result<Output, EngineError> {
    Err(EngineError::unsupported("rate of native histograms"))
}
pub(crate) fn instant(_s: &Scope<'_>, _w: &Window<'_>, _rate: bool, _st: bool) -> Result<Output, EngineError> {
    Err(EngineError::unsupported("irate of native histograms"))
}
pub(crate) fn extended(_s: &Scope<'_>, _w: &Window<'_>, _smoothed: bool, _k: RateKind) -> Result<Output, EngineError> {
    Err(EngineError::unsupported("extended rate of native histograms"))
}
pub(crate) fn sum(_s: &Scope<'_>, _h: &Histograms<'_>) -> Result<Output, EngineError> {
    Err(EngineError::unsupported("sum_over_time of native histograms"))
}
pub(crate) fn avg(_s: &Scope<'_>, _h: &Histograms<'_>) -> Result<Output, EngineError> {
    Err(EngineError::unsupported("avg_over_time of native histograms"))
}
