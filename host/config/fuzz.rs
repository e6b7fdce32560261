//! Fuzz targets: files and variables.

use std::path::Path;

use flowgate_fuzz::fuzz;

use super::{Config, DEFAULT, read};

const FILES: &[&str] = &[
    DEFAULT,
    "[server]\nlisten = \"127.0.0.1:0\"\n[egress]\nallow = [\"10.0.0.0/8\"]\nports = [443]\n",
    "[delivery]\nschedule_s = [5, 300]\n[engine]\ninstances_max = 5\n[store]\nlisten = -1\n",
    "[[server]]\nserver.listen = 1979-05-27\n",
];
const VARIABLES: &[&str] =
    &["FLOWGATE_SERVER_LISTEN", "FLOWGATE_EGRESS_ALLOW", "FLOWGATE_ENGIN_X", "FLOWGATE_DELIVERY_SCHEDULE_S"];

#[test]
fn a_file_and_variables_are_a_configuration_or_told_what_is_wrong() {
    fuzz!(|grow| {
        let table = grow.text(FILES).parse::<toml::Table>().ok().map(|table| (Path::new("flowgate.toml"), table));
        let variables =
            (0..grow.below(3)).map(|_| (grow.text(VARIABLES), grow.text(&["5", "a,b", "10.0.0.0/8", "true"])));
        match read::config(table, variables.collect::<Vec<_>>()) {
            Err(error) => assert!(!error.to_string().is_empty()),
            Ok(config) => {
                let again = config.to_toml().parse::<toml::Table>().unwrap();
                assert_eq!(again.try_into::<Config>().unwrap(), config);
            }
        }
    });
}
