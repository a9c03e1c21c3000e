//! What every page has around its content.

use super::markup::Text;

/// The page makes no request, and nothing in it can.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";

/// A page with this title and content.
pub(super) fn page(title: &str, body: &str) -> String {
    let (title, style, script) =
        (Text(title), include_str!("style.css"), include_str!("script.js"));
    format!(
        "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\">\n<head>\n\
         <meta charset=\"utf-8\"/>\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <link rel=\"icon\" href=\"data:,\"/>\n<title>{title}</title>\n<style>\n{style}</style>\n\
         </head>\n<body>\n{body}<script>\n{script}</script>\n</body>\n</html>\n"
    )
}
