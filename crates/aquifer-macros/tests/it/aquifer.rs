//! As much of the library as `#[derive(FromRow)]` uses, over rows of text.

pub mod row {
    use super::types::Decode;

    #[derive(Debug, PartialEq)]
    pub struct Error(pub String);

    #[derive(Debug)]
    pub struct Columns(pub Vec<&'static str>);

    #[derive(Debug, Default)]
    pub struct Mapping(Vec<Option<usize>>);

    #[derive(Debug)]
    pub struct RowReader<'a> {
        pub values: &'a [Option<&'a str>],
        pub mapping: std::slice::Iter<'a, Option<usize>>,
    }

    pub trait FromRow: Sized + 'static {
        fn resolve(columns: &Columns, mapping: &mut Mapping) -> Result<(), Error>;
        fn read(row: &mut RowReader<'_>) -> Result<Self, Error>;
    }

    impl Mapping {
        pub fn column(
            &mut self,
            columns: &Columns,
            of: &str,
            field: &str,
            name: &str,
        ) -> Result<(), Error> {
            self.column_or_default(columns, name);
            match self.0.last() {
                Some(Some(_)) => Ok(()),
                _ => Err(Error(format!("{of}.{field}: no column {name}"))),
            }
        }

        pub fn columns(
            &mut self,
            columns: &Columns,
            of: &str,
            fields: &[(&str, &str)],
        ) -> Result<(), Error> {
            fields
                .iter()
                .try_for_each(|(field, name)| self.column(columns, of, field, name))
        }

        pub fn column_or_default(&mut self, columns: &Columns, name: &str) {
            self.0
                .push(columns.0.iter().position(|column| *column == name));
        }

        pub fn position(&mut self, position: usize) {
            self.0.push(Some(position));
        }
    }

    impl<'a> RowReader<'a> {
        pub fn value<T: Decode<'a>>(&mut self, of: &str, field: &str) -> Result<T, Error> {
            let raw = self.next();
            T::decode(raw).map_err(|reason| Error(format!("{of}.{field}: {reason}")))
        }

        pub fn value_or_default<T: Decode<'a> + Default>(
            &mut self,
            of: &str,
            field: &str,
        ) -> Result<T, Error> {
            match self.next() {
                None => Ok(T::default()),
                raw => T::decode(raw).map_err(|reason| Error(format!("{of}.{field}: {reason}"))),
            }
        }

        fn next(&mut self) -> Option<&'a str> {
            let position = self.mapping.next().expect("fewer fields than mapped");
            position.and_then(|position| self.values[position])
        }
    }

    /// Reads one row as the library does.
    pub fn read<T: FromRow>(columns: &Columns, values: &[Option<&str>]) -> Result<T, Error> {
        let mut mapping = Mapping::default();
        T::resolve(columns, &mut mapping)?;
        let mapping = mapping.0.iter();
        let mut row = RowReader { values, mapping };
        let value = T::read(&mut row)?;
        assert_eq!(row.mapping.len(), 0, "more fields mapped than read");
        Ok(value)
    }
}

pub mod types {
    pub trait Decode<'a>: Sized {
        fn decode(raw: Option<&'a str>) -> Result<Self, String>;
    }

    impl<'a> Decode<'a> for i64 {
        fn decode(raw: Option<&'a str>) -> Result<Self, String> {
            let raw = raw.ok_or("NULL")?;
            raw.parse()
                .map_err(|_not_a_number| "not a number".to_owned())
        }
    }

    impl<'a> Decode<'a> for String {
        fn decode(raw: Option<&'a str>) -> Result<Self, String> {
            Ok(raw.ok_or("NULL")?.to_owned())
        }
    }

    impl<'a, T: Decode<'a>> Decode<'a> for Option<T> {
        fn decode(raw: Option<&'a str>) -> Result<Self, String> {
            raw.map(|raw| T::decode(Some(raw))).transpose()
        }
    }

    #[derive(Debug)]
    pub struct Json<T>(pub T);

    impl<'a, T: From<Vec<String>>> Decode<'a> for Json<T> {
        fn decode(raw: Option<&'a str>) -> Result<Self, String> {
            let raw = raw.ok_or("NULL")?;
            let items = raw.split('|').map(str::to_owned).collect::<Vec<_>>();
            Ok(Self(items.into()))
        }
    }
}
