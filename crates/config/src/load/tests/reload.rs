//! What a second load makes of a change.

use super::*;
use crate::model::Action;
use std::sync::Mutex;

fn names(list: &[Name]) -> Vec<&str> {
    list.iter().map(|name| &**name).collect()
}

#[test]
fn only_what_changed_is_new() {
    let mut loader = yaml(&full());
    let first = loader.load().unwrap();
    assert_eq!(names(&first.changes.routes.added), ["everything", "hello", "old", "user-info"]);
    assert!(loader.load().unwrap().changes.is_empty());

    loader.set_text(full().replace("body: \"hi\"", "body: \"ho\"").replace("users-v2", "users-v3"));
    let second = loader.load().unwrap();
    assert_eq!(names(&second.changes.routes.changed), ["hello", "user-info"]);
    assert_eq!(names(&second.changes.services.added), ["users-v3"]);
    assert_eq!(names(&second.changes.services.removed), ["users-v2"]);
    assert!(second.changes.listeners.is_empty() && !second.changes.process);
    assert!(Arc::ptr_eq(&first.config.routes["old"], &second.config.routes["old"]));
    assert!(Arc::ptr_eq(&first.config.services["users"], &second.config.services["users"]));
    assert!(!Arc::ptr_eq(&first.config.routes["hello"], &second.config.routes["hello"]));
}

#[test]
fn comments_order_and_blanks_change_nothing() {
    let text = full();
    let mut loader = yaml(&text);
    loader.load().unwrap();
    let (head, routes) = text.split_once("routes:\n").unwrap();
    let moved =
        format!("routes:\n\n{routes}# end\n{}", head.replace("  local:", "  # this\n  local:"));
    loader.set_text(moved);
    assert!(loader.load().unwrap().changes.is_empty());
    loader.set_text(full().replace("balance: least_requests", "balance:   least_requests # so"));
    assert!(loader.load().unwrap().changes.is_empty());
}

#[test]
fn the_other_languages_reload_too() {
    let text = |status: u16| {
        format!(
            "{{\"listeners\": {{\"w\": {{\"address\": \"127.0.0.1:0\"}}}}, \"routes\": {{\"a\": {{\"reply\": {{\"status\": {status}}}}}, \"b\": {{\"match\": {{\"path\": \"/b\"}}, \"reply\": {{}}}}}}}}"
        )
    };
    let mut loader = Loader::from_text("x.json", text(200), Format::Json);
    let first = loader.load().unwrap();
    loader.set_text(text(404));
    let second = loader.load().unwrap();
    assert_eq!(names(&second.changes.routes.changed), ["a"]);
    assert!(Arc::ptr_eq(&first.config.routes["b"], &second.config.routes["b"]));
}

#[test]
fn a_bad_load_changes_nothing_and_is_compared_past() {
    let mut loader = yaml(&full());
    let first = loader.load().unwrap();
    loader.set_text(full().replace("status: 301", "status: 200").replace("\"hi\"", "\"ho\""));
    assert_eq!(loader.load().unwrap_err().errors(), 1);
    assert_eq!(loader.load().unwrap_err().errors(), 1, "still wrong when asked again");
    loader.set_text(full().replace("\"hi\"", "\"ho\""));
    let second = loader.load().unwrap();
    assert_eq!(names(&second.changes.routes.changed), ["hello"]);
    assert!(Arc::ptr_eq(&first.config.routes["old"], &second.config.routes["old"]));
}

#[test]
fn a_rejected_load_is_compared_past() {
    let mut loader = yaml(&full());
    loader.load().unwrap();
    loader.set_text(full().replace("\"hi\"", "\"ho\""));
    loader.load().unwrap();
    loader.reject();
    let again = loader.load().unwrap();
    assert_eq!(names(&again.changes.routes.changed), ["hello"]);
    loader.reject();
    loader.set_text(full());
    assert!(loader.load().unwrap().changes.is_empty());
}

#[test]
fn variables_are_looked_at_again() {
    let value = Arc::new(Mutex::new("one".to_owned()));
    let seen = value.clone();
    let text = "listeners: { w: { address: \"127.0.0.1:0\" } }\nroutes:\n  a:\n    reply: { body: \"${WORD}\" }\n  b:\n    match: { path: /b }\n    reply: {}\n";
    let mut loader =
        yaml(text).environment(move |name| (name == "WORD").then(|| seen.lock().unwrap().clone()));
    let first = loader.load().unwrap();
    assert!(loader.load().unwrap().changes.is_empty());
    *value.lock().unwrap() = "two".to_owned();
    let second = loader.load().unwrap();
    assert_eq!(names(&second.changes.routes.changed), ["a"]);
    assert!(Arc::ptr_eq(&first.config.routes["b"], &second.config.routes["b"]));
    let Action::Reply(reply) = &second.config.routes["a"].action else { panic!("not a reply") };
    assert_eq!(&*reply.body, b"two");
}

#[test]
fn files_are_watched_and_looked_at_again() {
    let folder = Folder::new("files");
    folder.write("page.html", "one");
    folder.write("token", "t\n");
    let text = "listeners: { w: { address: \"127.0.0.1:0\" } }\nroutes:\n  a:\n    reply: { file: page.html, headers: { x-t: \"file:token\" } }\n";
    let path = folder.write("gate.yaml", text);
    let mut loader = Loader::new(&path);
    let first = loader.load().unwrap();
    assert_eq!(first.watch, [path.clone(), folder.0.join("page.html"), folder.0.join("token")]);
    folder.write("page.html", "two");
    let second = loader.load().unwrap();
    assert_eq!(names(&second.changes.routes.changed), ["a"]);
    let Action::Reply(reply) = &second.config.routes["a"].action else { panic!("not a reply") };
    assert_eq!((&*reply.body, &*reply.headers[0].1), (b"two".as_slice(), "t"));
    std::fs::remove_file(folder.0.join("token")).unwrap();
    assert!(loader.load().unwrap_err().render(false).contains("there is no such file"));
    folder.write("token", "t\n");
    assert!(loader.load().unwrap().changes.is_empty());
}

#[test]
fn a_folder_is_merged() {
    let folder = Folder::new("folder");
    folder.write("a.yaml", "listeners: { w: { address: \"127.0.0.1:0\" } }\n");
    folder.write("b.toml", "[routes.x]\nservice = \"s\"\n");
    folder.write("c.json", "{\"services\": {\"s\": {\"endpoints\": [\"h:1\"]}}}");
    folder.write("notes.txt", "not read");
    folder.write(".hidden.yaml", "not: read");
    let mut loader = Loader::new(&folder.0);
    let first = loader.load().unwrap();
    assert_eq!((first.config.routes.len(), first.config.services.len()), (1, 1));
    assert_eq!(first.watch.len(), 4);

    let double = folder
        .write("d.yaml", "routes:\n  x: { reply: {} }\n  y: { reply: {}, match: { path: /y } }\n");
    let report = loader.load().unwrap_err();
    let fault = &report.faults()[0];
    assert_eq!(fault.message, "the key `x` is here twice");
    assert!(fault.places[0].to_string().ends_with("d.yaml:2:3"), "{}", fault.places[0]);
    assert!(fault.places[1].to_string().ends_with("b.toml:1:9"), "{}", fault.places[1]);
    std::fs::remove_file(double).unwrap();
    assert!(loader.load().unwrap().changes.is_empty());
    std::fs::remove_file(folder.0.join("c.json")).unwrap();
    assert!(loader.load().unwrap_err().render(false).contains("there is no service `s`"));
}

#[test]
fn a_listener_may_not_go_while_a_route_names_it() {
    let text = |listeners: &str| {
        format!(
            "listeners:\n  web: {{ address: \"127.0.0.1:0\" }}\n{listeners}routes:\n  \
             r: {{ match: {{ listener: [web, side] }}, reply: {{}} }}\n"
        )
    };
    let side = "  side: { address: \"127.0.0.1:0\" }\n";
    let mut loader = yaml(&text(side));
    let first = loader.load().unwrap();
    assert_eq!(names(&first.config.routes["r"].matches.listeners), ["web", "side"]);
    for _ in 0..2 {
        // The route itself did not change and is not read again.
        loader.set_text(text(""));
        let report = loader.load().unwrap_err().render(false);
        assert!(report.contains("there is no listener `side`"), "{report}");
        loader.set_text(text(side));
        assert!(loader.load().unwrap().changes.is_empty());
    }
    // A service of that name is no listener.
    loader.set_text(format!("{}services: {{ side: {{ endpoints: [\"h:1\"] }} }}\n", text("")));
    assert_eq!(loader.load().unwrap_err().errors(), 1);
}

#[test]
fn unreadable_configurations_are_errors() {
    let folder = Folder::new("unreadable");
    let said = |path: &Path| Loader::new(path).load().unwrap_err().render(false);
    assert!(said(&folder.0.join("none.yaml")).contains("there is no such file"));
    assert!(said(&folder.0.join("none.ini")).contains("expected a `.yaml`"));
    assert!(said(&folder.0).contains("has no `.yaml`"));
    let path = folder.0.join("bytes.yaml");
    std::fs::write(&path, b"a: 1\nb: \xff\n").unwrap();
    assert!(said(&path).contains("bytes.yaml:2: the file is not UTF-8"));
}

#[test]
fn places_are_found_for_later_steps() {
    let mut loader = yaml(&full());
    loader.load().unwrap();
    let place = |path: &[&str]| loader.locate(path).unwrap().to_string();
    assert_eq!(place(&["services", "users", "tls", "server_name"]), "gate.yaml:26:25");
    assert_eq!(place(&["services", "users", "endpoints", "0"]), "gate.yaml:22:9");
    assert_eq!(place(&["listeners", "web", "tls"]), "gate.yaml:3:3");
    assert_eq!(place(&["admin", "address"]), "gate.yaml:67:19");
    assert_eq!(loader.locate(&["routes", "nope"]), None);
    let report = Report::at(loader.locate(&["listeners", "web"]), "the key does not fit");
    assert_eq!(report.errors(), 1);
    assert!(report.render(false).contains("gate.yaml:3:3"));
}

#[test]
fn many_reloads_keep_the_configuration_right() {
    let mut loader = yaml(&full());
    let mut held = Vec::new();
    for round in 0..20 {
        let mut text = full().replace("\"hi\"", &format!("\"hi {}\"", round % 7));
        if round % 3 == 0 {
            text = text.replace("  old:", &format!("  old-{round}:"));
            text = text.replace("  local:", "  other:").replace("web, local]", "web, other]");
        }
        loader.set_text(text.clone());
        let loaded = loader.load().unwrap();
        let anew = good(&text).config;
        let sorted = |config: &Config| {
            let routes: BTreeMap<_, _> = config.routes.iter().collect();
            format!("{routes:?} {:?} {:?} {:?}", config.listeners, config.services, config.process)
        };
        assert_eq!(sorted(&loaded.config), sorted(&anew), "round {round}");
        // Some are held for longer, as by a request that takes long.
        if round % 4 == 0 {
            held.push((text, loaded.config));
        }
        for (text, config) in &held {
            assert_eq!(sorted(config), sorted(&good(text).config));
        }
    }
}
