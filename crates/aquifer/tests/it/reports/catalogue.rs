//! What the shop has, how it is found, and what it costs.

use aquifer::Direction::{Asc, Desc};
use aquifer::entity::*;
use aquifer::query::{self, Operator, call, coalesce, col, count_all, json_text, sum, val};
use aquifer::types::{Date, Json, Numeric, Range};
use serde::{Deserialize, Serialize};

use super::schema::{Category, Customer, Line, Order, Price, Product, Review};
use super::{assert_report, assert_typed, shop};

#[derive(Debug, PartialEq, DerivedTable)]
struct Branch {
    root_id: i64,
    id: i64,
}

const TREE: &str = "
    with recursive branch as (
        select id as root_id, id from categories
        union all
        select b.root_id, c.id from branch b join categories c on c.parent_id = b.id
    )
    select c.name, count(distinct p.id) as products, sum(l.quantity) as pieces
    from branch b join categories c on c.id = b.root_id
    join products p on p.category_id = b.id and p.deleted_at is null
    left join order_lines l on l.product_id = p.id
    group by c.id, c.name order by c.id";

/// T, D
#[tokio::test]
async fn the_tree_of_categories_with_what_was_sold_below_each() {
    let db = shop().await;
    let below = Category::query().join(Branch::on(Branch::ID, Category::PARENT_ID));
    let typed = Branch::recursive(
        Category::query().select((Category::ID, Category::ID)),
        below.select((Branch::ROOT_ID, Category::ID)),
    )
    .join(Category::on(Category::ID, Branch::ROOT_ID))
    .join(Product::on(Product::CATEGORY_ID, Branch::ID))
    .left_join(Product::LINES)
    .group_by((Category::ID, Category::NAME))
    .order_by(Category::ID.asc())
    .select((
        Category::NAME,
        Product::ID.count_distinct(),
        Line::QUANTITY.sum(),
    ));
    assert_typed(typed, &db, TREE).await;

    let all = query::from("categories").select(["id as root_id", "id"]);
    let below = query::from("branch as b")
        .join("categories as c", "c.parent_id", "=", "b.id")
        .select(["b.root_id", "c.id"]);
    let dynamic = db
        .from("branch as b")
        .with_recursive("branch", all.union_all(below))
        .join("categories as c", "c.id", "=", "b.root_id")
        .join("products as p", "p.category_id", "=", "b.id")
        .left_join("order_lines as l", "l.product_id", "=", "p.id")
        .where_null("p.deleted_at")
        .group_by(["c.id", "c.name"])
        .order_by("c.id", Asc)
        .select((
            "c.name",
            query::count("p.id").distinct().alias("products"),
            sum("l.quantity").alias("pieces"),
        ));
    assert_report(dynamic, &db, TREE).await;
}

const SEARCH: &str = "
    select id, name, ts_rank(to_tsvector('english', description),
                             websearch_to_tsquery('english', 'light shoes or garden -steel')) as rank
    from products
    where to_tsvector('english', description) @@ websearch_to_tsquery('english', 'light shoes or garden -steel')
      and deleted_at is null
    order by rank desc, id limit 25";

/// T, D
#[tokio::test]
async fn products_found_by_words_the_best_first() {
    let db = shop().await;
    let typed_in = "light shoes or garden -steel";
    let rank = || Product::DESCRIPTION.search_rank("english", typed_in);
    let typed = Product::query()
        .filter(Product::DESCRIPTION.matches_search("english", typed_in))
        .order_by(rank().desc())
        .order_by(Product::ID.asc())
        .limit(25)
        .select((Product::ID, Product::NAME, rank()));
    assert_typed(typed, &db, SEARCH).await;

    let words = query::words("english", "description");
    let rank = call("ts_rank", [words, query::web_search("english", typed_in)]);
    let dynamic = db
        .from("products")
        .where_search("description", "english", typed_in)
        .where_null("deleted_at")
        .order_by("rank", Desc)
        .order_by("id", Asc)
        .limit(25)
        .select((col("id"), col("name"), rank.alias("rank")));
    assert_report(dynamic, &db, SEARCH).await;
}

const PRICE_OF_THE_DAY: &str = "
    select p.name, h.amount, h.valid from products p join prices h on h.product_id = p.id
    where h.valid @> date '2024-09-15' and p.price > 150 and p.deleted_at is null order by p.id";

const PRICES_OF_A_WEEK: &str = "
    select product_id, number, amount from prices
    where valid && daterange('2024-09-01', '2024-09-08') and not valid @> date '2024-09-01'
    order by product_id, number";

fn date(year: i32, month: u8, day: u8) -> Date {
    Date::from_year_month_day(year, month, day).unwrap()
}

/// T, D
#[tokio::test]
async fn the_price_of_each_product_on_a_day() {
    let db = shop().await;
    let day = date(2024, 9, 15);
    let dear: Numeric = "150".parse().unwrap();
    let typed = Product::query()
        .join(Price::on(Price::PRODUCT_ID, Product::ID))
        .filter(Price::VALID.includes(day))
        .filter(Product::PRICE.gt(dear))
        .order_by(Product::ID.asc())
        .select((Product::NAME, Price::AMOUNT, Price::VALID));
    assert_typed(typed, &db, PRICE_OF_THE_DAY).await;

    let dynamic = db
        .from("products as p")
        .join("prices as h", "h.product_id", "=", "p.id")
        .where_("h.valid", Operator::Contains, val(day))
        .where_("p.price", ">", 150)
        .where_null("p.deleted_at")
        .order_by("p.id", Asc)
        .select(["p.name", "h.amount", "h.valid"]);
    assert_report(dynamic, &db, PRICE_OF_THE_DAY).await;
}

/// T, D: one text for both.
#[tokio::test]
async fn prices_that_began_in_a_week() {
    let db = shop().await;
    let (first, last) = (date(2024, 9, 1), date(2024, 9, 8));
    let typed = Price::query()
        .filter(Price::VALID.overlaps(Range::from(first..last)))
        .filter(!Price::VALID.includes(first))
        .order_by(Price::PRODUCT_ID.asc())
        .order_by(Price::NUMBER.asc())
        .select((Price::PRODUCT_ID, Price::NUMBER, Price::AMOUNT));
    let dynamic = db
        .from("prices")
        .where_("valid", "&&", Range::from(first..last))
        .where_not(|not| not.where_("valid", "@>", val(first)))
        .order_by("product_id", Asc)
        .order_by("number", Asc)
        .select(["product_id", "number", "amount"]);
    assert_eq!(typed.to_sql().unwrap(), dynamic.to_sql().unwrap());
    assert_typed(typed, &db, PRICES_OF_A_WEEK).await;
    assert_report(dynamic, &db, PRICES_OF_A_WEEK).await;
}

/// D
#[tokio::test]
async fn how_often_each_tag_is_used() {
    let db = shop().await;
    let tags = call("unnest", [col("p.tags")]);
    let dynamic = db
        .from("products as p")
        .cross_join((tags, "t", ["tag"]))
        .group_by("t.tag")
        .order_by(count_all(), Desc)
        .order_by("t.tag", Asc)
        .select((
            "t.tag",
            count_all().alias("products"),
            query::array_agg("p.id")
                .ordered("p.id", Asc)
                .filter(col("p.stock").is("<", 5))
                .alias("rare"),
        ));
    let sql = "
        select t.tag, count(*) as products, array_agg(p.id order by p.id) filter (where p.stock < 5) as rare
        from products p cross join unnest(p.tags) t (tag)
        group by t.tag order by count(*) desc, t.tag";
    assert_report(dynamic, &db, sql).await;
}

const GREEN_GIFTS: &str = "
    select id, name, attributes #>> '{colour}' as colour from products
    where tags @> '{eco}' and tags && '{gift,sale}' and attributes #>> '{colour}' = 'green'
      and deleted_at is null order by id";

/// T, D
#[tokio::test]
async fn products_by_tags_and_attributes() {
    let db = shop().await;
    let colour = || Product::ATTRIBUTES.path_text(["colour"]);
    let typed = Product::query()
        .filter(Product::TAGS.has_all(["eco"]))
        .filter(Product::TAGS.has_any(["gift", "sale"]))
        .filter(colour().eq("green"))
        .order_by(Product::ID.asc())
        .select((Product::ID, Product::NAME, colour()));
    assert_typed(typed, &db, GREEN_GIFTS).await;

    let dynamic = db
        .from("products")
        .where_("tags", "@>", ["eco"])
        .where_("tags", "&&", ["gift", "sale"])
        .where_json("attributes", ["colour"], "=", "green")
        .where_null("deleted_at")
        .order_by("id", Asc)
        .select((
            col("id"),
            col("name"),
            json_text("attributes", ["colour"]).alias("colour"),
        ));
    assert_report(dynamic, &db, GREEN_GIFTS).await;
}

const BEST: &str = "
    select product_id, count(*) as reviews, avg(rating) as average from reviews
    group by product_id having count(*) >= 5
    order by avg(rating) desc fetch first 10 rows with ties";

/// T, D: one text for both.
#[tokio::test]
async fn the_ten_products_that_are_liked_best_and_those_equal_to_the_last() {
    let db = shop().await;
    let typed = Review::query()
        .group_by((Review::PRODUCT_ID,))
        .having(count_rows::<Review>().ge(5))
        .order_by(Review::RATING.avg().desc())
        .limit(10)
        .with_ties();
    let dynamic = db
        .from("reviews")
        .group_by(["product_id"])
        .having(count_all(), ">=", 5_i64)
        .order_by(query::avg("rating"), Desc)
        .limit(10)
        .with_ties();
    let same = typed.clone().select((Review::PRODUCT_ID,));
    let other = dynamic.clone().select("product_id");
    assert_eq!(same.to_sql().unwrap(), other.to_sql().unwrap());
    let typed = typed.order_by(Review::PRODUCT_ID.asc()).select((
        Review::PRODUCT_ID,
        count_rows::<Review>(),
        Review::RATING.avg(),
    ));
    let sorted = "
        select product_id, count(*) as reviews, avg(rating) as average from reviews
        group by product_id having count(*) >= 5
        order by avg(rating) desc, product_id fetch first 10 rows with ties";
    assert_typed(typed, &db, sorted).await;
    // Which of equal ones comes first is open, how many there are is not.
    let built = other.count().await.unwrap();
    let written: i64 = aquifer::Session::query(&db, BEST, ()).await.unwrap().len() as i64;
    assert!(written > 10, "there are ties");
    assert_eq!(i64::try_from(built).unwrap(), written);
    let dynamic = dynamic.order_by("product_id", Asc).select((
        "product_id",
        count_all().alias("reviews"),
        query::avg("rating").alias("average"),
    ));
    assert_report(dynamic, &db, sorted).await;
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Piece {
    product: String,
    quantity: i32,
    price: f64,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Document {
    order: i64,
    customer: String,
    lines: Vec<Piece>,
}

const DOCUMENTS: &str = "
    select jsonb_build_object('order', o.id, 'customer', c.name, 'lines',
               coalesce(jsonb_agg(jsonb_build_object('product', p.name, 'quantity', l.quantity,
                                                     'price', l.unit_price) order by l.number), '[]')) as document
    from orders o join customers c on c.id = o.customer_id join order_lines l on l.order_id = o.id
    join products p on p.id = l.product_id
    where o.id between 100 and 200 group by o.id, c.name order by o.id";

/// T, D
#[tokio::test]
async fn orders_as_documents_with_their_lines() {
    let db = shop().await;
    let lines = json_object()
        .member("product", Product::NAME)
        .member("quantity", Line::QUANTITY)
        .member("price", Line::UNIT_PRICE)
        .jsonb_agg::<Piece>()
        .ordered(Line::NUMBER.asc());
    let document = json_object()
        .member("order", Order::ID)
        .member("customer", Customer::NAME)
        .member("lines", lines.or(Json(Vec::new())));
    let typed = Order::query()
        .join(Customer::on(Customer::ID, Order::CUSTOMER_ID))
        .join(Order::LINES)
        .join(Product::on(Product::ID, Line::PRODUCT_ID))
        .with_deleted()
        .filter(Order::ID.between(100, 200))
        .group_by((Order::ID, Customer::NAME))
        .order_by(Order::ID.asc())
        .select((document.read_as::<Document>(),));
    assert_typed(typed, &db, DOCUMENTS).await;

    let line = query::json_object([
        ("product", col("p.name")),
        ("quantity", col("l.quantity")),
        ("price", col("l.unit_price")),
    ]);
    let lines = query::jsonb_agg(line).ordered("l.number", Asc);
    let document = query::json_object([
        ("order", col("o.id")),
        ("customer", col("c.name")),
        ("lines", coalesce((lines, val("[]").cast("jsonb")))),
    ]);
    let dynamic = db
        .from("orders as o")
        .join("customers as c", "c.id", "=", "o.customer_id")
        .join("order_lines as l", "l.order_id", "=", "o.id")
        .join("products as p", "p.id", "=", "l.product_id")
        .where_between("o.id", 100, 200)
        .group_by(["o.id", "c.name"])
        .order_by("o.id", Asc)
        .select(document.alias("document"));
    assert_report(dynamic, &db, DOCUMENTS).await;
}
