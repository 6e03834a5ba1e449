//! The filter of the list.

use std::fmt::Display;
use std::str::FromStr;

use bg_charm_api::{Cursor, RegistrationFilter, RegistrationQuery};
use bg_poller::{CharmRef, RegistrationState};
use http::Uri;

use super::access::Form;
use super::link;

/// Rows of a page.
pub(super) const ROWS: usize = 50;
/// The longest search text, in bytes.
const SEARCH: usize = 200;

/// The operator's input, unparsed.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    pub(super) search: String,
    pub(super) space: String,
    pub(super) integration: String,
    pub(super) state: String,
    pub(super) after: String,
    pub(super) before: String,
}

impl Filter {
    pub(super) fn of(uri: &Uri) -> Self {
        let mut filter = Self::default();
        for (name, value) in url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
            let field = match &*name {
                "search" => &mut filter.search,
                "space" => &mut filter.space,
                "integration" => &mut filter.integration,
                "state" => &mut filter.state,
                "after" => &mut filter.after,
                "before" => &mut filter.before,
                _ => continue,
            };
            value.trim().clone_into(field);
        }
        filter
    }

    /// The filter of a form.
    pub(super) fn of_form(form: &Form) -> Self {
        let field = |name: &str| form.get(name).unwrap_or_default().trim().to_owned();
        let [search, space, integration, state] = ["search", "space", "integration", "state"].map(field);
        Self { search, space, integration, state, ..Self::default() }
    }

    /// The parsed query, or what is wrong with the input.
    pub(super) fn query(&self) -> Result<RegistrationQuery, String> {
        let after = read::<CharmRef>("after", &self.after)?.map(Cursor::After);
        let before = read::<CharmRef>("before", &self.before)?.map(Cursor::Before);
        Ok(RegistrationQuery { filter: self.registrations()?, cursor: after.or(before), limit: ROWS })
    }

    /// The parsed filter without the page, or what is wrong with the input.
    pub(super) fn registrations(&self) -> Result<RegistrationFilter, String> {
        let search = Some(self.search.clone()).filter(|search| !search.is_empty());
        if self.search.len() > SEARCH {
            return Err(format!("the search text is too long; the limit is {SEARCH} bytes"));
        }
        let state = RegistrationState::ALL.into_iter().find(|state| state.slug() == self.state);
        if state.is_none() && !self.state.is_empty() {
            return Err(format!("there is no state {:?}", self.state));
        }
        Ok(RegistrationFilter {
            search,
            space: read("the space", &self.space)?,
            integration: read("the integration", &self.integration)?,
            state,
        })
    }

    pub(super) fn is_state(&self, state: RegistrationState) -> bool {
        state.slug() == self.state
    }

    pub(super) fn is_any(&self) -> bool {
        [&self.search, &self.space, &self.integration, &self.state].iter().any(|field| !field.is_empty())
    }

    /// The first page of this filter.
    pub(super) fn first(&self) -> Self {
        Self { after: String::new(), before: String::new(), ..self.clone() }
    }

    /// The address of this filter, with `path`.
    pub(super) fn address(&self, path: &str) -> String {
        let Self { search, space, integration, state, after, before } = self;
        link::with_query(
            path,
            &[
                ("search", search),
                ("space", space),
                ("integration", integration),
                ("state", state),
                ("after", after),
                ("before", before),
            ],
        )
    }
}

fn read<T: FromStr<Err: Display>>(what: &str, text: &str) -> Result<Option<T>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|error: T::Err| format!("{what}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_parsed_and_written_unchanged() {
        let uri: Uri = "/admin?search=%20a%26b&state=failing&integration=mail&other=x&after=".parse().unwrap();
        let filter = Filter::of(&uri);
        let query = filter.query().unwrap().filter;
        assert_eq!(query.search.as_deref(), Some("a&b"));
        assert_eq!(query.state, Some(RegistrationState::Failing));
        assert_eq!(filter.address("/admin/events"), "/admin/events?search=a%26b&integration=mail&state=failing");
        assert!(filter.is_any() && !Filter::default().is_any());
        for (query, problem) in [
            ("state=broken", "there is no state"),
            ("space=my-space", "the space: "),
            ("integration=no%20name", "the integration: "),
            ("after=x", "after: "),
        ] {
            let uri: Uri = format!("/admin?{query}").parse().unwrap();
            let error = Filter::of(&uri).query().unwrap_err();
            assert!(error.starts_with(problem), "{query}: {error}");
        }
    }
}
