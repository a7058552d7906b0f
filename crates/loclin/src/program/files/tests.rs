//! Files that are whole or absent, and writers that do not know of each other.

use super::*;

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn replaces_the_whole_content_and_leaves_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.txt");
    write_atomic(&path, b"a longer first version").unwrap();
    write_atomic(&path, b"second").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"second");
    assert_eq!(names(dir.path()), ["a.txt"]);
}

#[test]
fn a_failure_in_the_middle_keeps_the_old_content_and_no_temporary_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.txt");
    write_atomic(&path, b"old").unwrap();
    let error = write_atomic_with(&path, |file| {
        file.write_all(&[0; 100_000])?;
        Err(io::Error::from(io::ErrorKind::StorageFull))
    })
    .unwrap_err();
    assert!(
        error.to_string().contains("a.txt: cannot write the file"),
        "{error}"
    );
    assert_eq!(error.source.kind(), io::ErrorKind::StorageFull);
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(names(dir.path()), ["a.txt"]);
}

#[test]
fn refuses_what_is_no_regular_file() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("inner");
    create_dir(&inner).unwrap();
    let error = write_atomic(&inner, b"x").unwrap_err();
    assert!(
        error.source.to_string().contains("not a regular file"),
        "{error:?}"
    );
    assert_eq!(names(dir.path()), ["inner"]);
    if Path::new("/dev/null").exists() {
        // As root a rename would replace the device by a file.
        assert!(write_atomic(Path::new("/dev/null"), b"x").is_err());
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }
}

#[test]
fn leftovers_of_a_killed_writer_go_and_everything_else_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (_, left) = temporary(&dir.path().join("a.txt"))
        .unwrap()
        .keep()
        .unwrap();
    write_atomic(&dir.path().join("a.txt"), b"x").unwrap();
    let own = ".loclin-mine.unfinished";
    create_dir(&dir.path().join(own)).unwrap();
    write_atomic(&dir.path().join(".tmp-thesis.tex"), b"x").unwrap();
    let living = temporary(&dir.path().join("b.txt")).unwrap();
    assert!(left.exists());
    remove_leftovers(dir.path()).unwrap();
    assert!(living.path().exists());
    drop(living);
    remove_leftovers(dir.path()).unwrap();
    assert_eq!(names(dir.path()), [own, ".tmp-thesis.tex", "a.txt"]);
}

#[test]
fn a_directory_has_one_owner_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let held = lock(dir.path()).unwrap();
    let error = lock(dir.path()).unwrap_err();
    assert!(error.to_string().contains("cannot use the directory"));
    assert!(error.source.to_string().contains("another process"));
    drop(held);
    lock(dir.path()).unwrap();
    assert!(names(dir.path()).is_empty());
}

#[cfg(unix)]
#[test]
fn a_directory_that_was_moved_is_no_longer_held() {
    let dir = tempfile::tempdir().unwrap();
    let [here, there] = ["here", "there"].map(|name| dir.path().join(name));
    create_dir(&here).unwrap();
    let held = lock(&here).unwrap();
    held.check().unwrap();
    fs::rename(&here, &there).unwrap();
    assert!(held.check().is_err());
    // Somebody else's directory of that name.
    create_dir(&here).unwrap();
    let other = lock(&here).unwrap();
    let error = held.check().unwrap_err();
    assert!(error.source.to_string().contains("moved"), "{error:?}");
    other.check().unwrap();
}

#[test]
fn a_missing_directory_and_a_file_in_its_place_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("none/a.txt");
    assert_eq!(
        write_atomic(&missing, b"x").unwrap_err().source.kind(),
        io::ErrorKind::NotFound
    );
    let file = dir.path().join("file");
    write_atomic(&file, b"x").unwrap();
    let error = create_dir(&file).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("file: cannot create the directory"),
        "{error}"
    );
    assert!(create_dir(&file.join("below")).is_err());
    create_dir(&dir.path().join("a/b")).unwrap();
    create_dir(&dir.path().join("a/b")).unwrap();
    assert_eq!(names(dir.path()), ["a", "file"]);
}

#[cfg(unix)]
#[test]
fn a_read_only_directory_stays_empty() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o555)).unwrap();
    if fs::write(dir.path().join("probe"), b"").is_ok() {
        #[allow(clippy::print_stderr)]
        {
            eprintln!("skipped: permissions do not bind this user (root)");
        }
        return;
    }
    let error = write_atomic(&dir.path().join("a.txt"), b"x").unwrap_err();
    assert_eq!(error.source.kind(), io::ErrorKind::PermissionDenied);
    assert!(names(dir.path()).is_empty());
}

#[cfg(unix)]
#[test]
fn others_may_read_the_result() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let plain = dir.path().join("plain");
    let atomic = dir.path().join("atomic");
    fs::write(&plain, b"x").unwrap();
    write_atomic(&atomic, b"x").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&atomic), mode(&plain));
}
