//! Properties of a bin that are those of the elements in it, by name, and of its pads that are those of the pads
//! behind them.

use gst::glib;
use gst::glib::translate::{FromGlib, IntoGlib};
use gst::prelude::*;

use super::enums::{
    AddressFamily, Authmod, EnhancedRtmp, PlayStart, PublishType, Scheme, StartMode, StopCommands,
    TlsValidation,
};

/// Copies of the properties of the `inner` classes, those of their base classes included but for what the classes
/// `except` have. Of two with one name the first counts.
pub(super) fn properties(inner: &[glib::Type], except: &[glib::Type]) -> Vec<glib::ParamSpec> {
    let class =
        |type_: &glib::Type| glib::object::ObjectClass::from_type(*type_).expect("objects have a class");
    let has = |type_, name| class(type_).find_property(name).is_some();
    let mut properties: Vec<glib::ParamSpec> = Vec::new();
    for type_ in inner {
        for property in class(type_).list_properties().iter() {
            let is_new = properties.iter().all(|known| known.name() != property.name());
            if is_new && !except.iter().any(|except| has(except, property.name())) {
                properties.extend(copy(property));
            }
        }
    }
    properties
}

/// Sets the property of the first of `inner` that has it.
pub(super) fn set(inner: &[&glib::Object], name: &str, value: &glib::Value) {
    if let Some(object) = holder(inner, name) {
        object.set_property_from_value(name, value);
    }
}

/// Reads the property of the first of `inner` that has it.
pub(super) fn get(inner: &[&glib::Object], property: &glib::ParamSpec) -> glib::Value {
    match holder(inner, property.name()) {
        Some(object) => object.property_value(property.name()),
        None => property.default_value().clone(),
    }
}

fn holder<'a>(inner: &[&'a glib::Object], name: &str) -> Option<&'a glib::Object> {
    inner
        .iter()
        .copied()
        .find(|object| object.find_property(name).is_some())
}

/// The property once more: a class must not install what is another's. `None` of types that no element here has.
fn copy(property: &glib::ParamSpec) -> Option<glib::ParamSpec> {
    number(property)
        .or_else(|| text(property))
        .or_else(|| enumeration::<Scheme>(property))
        .or_else(|| enumeration::<Authmod>(property))
        .or_else(|| enumeration::<AddressFamily>(property))
        .or_else(|| enumeration::<StartMode>(property))
        .or_else(|| enumeration::<PlayStart>(property))
        .or_else(|| enumeration::<PublishType>(property))
        .or_else(|| enumeration::<EnhancedRtmp>(property))
        .or_else(|| enumeration::<gst_base::AggregatorStartTimeSelection>(property))
        .or_else(|| flags::<TlsValidation>(property))
        .or_else(|| flags::<StopCommands>(property))
        .or_else(|| boxed::<gst::Structure>(property))
        .or_else(|| boxed::<gst::Sample>(property))
}

fn number(property: &glib::ParamSpec) -> Option<glib::ParamSpec> {
    macro_rules! copy_range {
        ($($spec:ty),*) => {
            $(if let Some(range) = property.downcast_ref::<$spec>() {
                let copy = <$spec>::builder(property.name())
                    .minimum(range.minimum())
                    .maximum(range.maximum())
                    .default_value(range.default_value());
                return Some(described(copy, property).build());
            })*
        };
    }
    copy_range!(
        glib::ParamSpecInt,
        glib::ParamSpecUInt,
        glib::ParamSpecInt64,
        glib::ParamSpecUInt64
    );
    let switch = property.downcast_ref::<glib::ParamSpecBoolean>()?;
    let copy = glib::ParamSpecBoolean::builder(property.name()).default_value(switch.default_value());
    Some(described(copy, property).build())
}

fn text(property: &glib::ParamSpec) -> Option<glib::ParamSpec> {
    property.downcast_ref::<glib::ParamSpecString>()?;
    let default: Option<&str> = property.default_value().get().ok()?;
    let copy = glib::ParamSpecString::builder(property.name()).default_value(default);
    Some(described(copy, property).build())
}

fn enumeration<T>(property: &glib::ParamSpec) -> Option<glib::ParamSpec>
where
    T: StaticType + FromGlib<i32> + IntoGlib<GlibType = i32>,
{
    let default = property
        .downcast_ref::<glib::ParamSpecEnum>()?
        .default_value::<T>()
        .ok()?;
    let copy = glib::ParamSpecEnum::builder_with_default(property.name(), default);
    Some(described(copy, property).build())
}

fn flags<T>(property: &glib::ParamSpec) -> Option<glib::ParamSpec>
where
    T: StaticType + FromGlib<u32> + IntoGlib<GlibType = u32>,
{
    let default = property
        .downcast_ref::<glib::ParamSpecFlags>()?
        .default_value::<T>()
        .ok()?;
    let copy = glib::ParamSpecFlags::builder(property.name()).default_value(default);
    Some(described(copy, property).build())
}

fn boxed<T: StaticType>(property: &glib::ParamSpec) -> Option<glib::ParamSpec> {
    if property.value_type() != T::static_type() {
        return None;
    }
    let copy = glib::ParamSpecBoxed::builder::<T>(property.name());
    Some(described(copy, property).build())
}

/// The builder with everything else that a property has, but for being set when its object is made: the inner one has
/// been by then.
fn described<'a, B: ParamSpecBuilderExt<'a>>(builder: B, property: &'a glib::ParamSpec) -> B {
    let at_construction = glib::ParamFlags::CONSTRUCT | glib::ParamFlags::CONSTRUCT_ONLY;
    builder
        .nick(property.nick())
        .blurb(property.blurb().unwrap_or_default())
        .flags(property.flags() - at_construction)
}
