-- A fictional shop. The rows come from sample.py; everything here runs in one transaction.

CREATE SCHEMA shop;
COMMENT ON SCHEMA shop IS
    'Brightwick, a fictional European online shop: its customers, products, orders of 2024 and 2025, and what went wrong.';
SET LOCAL search_path = shop;

CREATE TYPE order_status AS ENUM ('pending', 'paid', 'shipped', 'delivered', 'cancelled');
CREATE TYPE return_reason AS ENUM ('damaged', 'wrong item', 'not as described', 'changed mind');
CREATE TYPE ticket_priority AS ENUM ('low', 'normal', 'high');

CREATE TABLE suppliers (
    id integer PRIMARY KEY,
    name text NOT NULL UNIQUE,
    country text NOT NULL,
    contact text NOT NULL,
    since date NOT NULL
);
COMMENT ON TABLE suppliers IS 'Companies that make the products and send them to the customers.';
COMMENT ON COLUMN suppliers.since IS 'Working with us since this day.';

CREATE TABLE products (
    id integer PRIMARY KEY,
    sku text NOT NULL UNIQUE,
    name text NOT NULL,
    category text NOT NULL,
    description text NOT NULL,
    price numeric(10, 2) NOT NULL CHECK (price > 0),
    supplier_id integer NOT NULL REFERENCES suppliers,
    stock integer NOT NULL CHECK (stock >= 0),
    tags text[] NOT NULL DEFAULT '{}',
    attributes jsonb NOT NULL DEFAULT '{}',
    discontinued boolean NOT NULL DEFAULT false
);
CREATE INDEX ON products (category);
CREATE INDEX ON products (supplier_id);
COMMENT ON TABLE products IS 'What the shop sells.';
COMMENT ON COLUMN products.price IS 'Today''s list price in EUR; what was paid is in order_items.unit_price.';
COMMENT ON COLUMN products.attributes IS 'Weight in grams, material, warranty in months.';

CREATE TABLE customers (
    id integer PRIMARY KEY,
    name text NOT NULL,
    email text NOT NULL UNIQUE,
    city text NOT NULL,
    country text NOT NULL,
    joined_at timestamptz NOT NULL,
    newsletter boolean NOT NULL
);
CREATE INDEX ON customers (city);
COMMENT ON TABLE customers IS 'Everybody with an account, whether they ever ordered or not.';

CREATE TABLE orders (
    id integer PRIMARY KEY,
    customer_id integer NOT NULL REFERENCES customers,
    status order_status NOT NULL,
    ordered_at timestamptz NOT NULL,
    promised_on date NOT NULL
);
CREATE INDEX ON orders (customer_id);
CREATE INDEX ON orders (ordered_at);
COMMENT ON TABLE orders IS 'One row per order of 2024 and 2025; what was ordered is in order_items.';
COMMENT ON COLUMN orders.promised_on IS 'The day we promised that everything would have arrived.';

CREATE TABLE order_items (
    order_id integer NOT NULL REFERENCES orders,
    line smallint NOT NULL,
    product_id integer NOT NULL REFERENCES products,
    quantity integer NOT NULL CHECK (quantity > 0),
    unit_price numeric(10, 2) NOT NULL,
    delivered_on date,
    PRIMARY KEY (order_id, line)
);
CREATE INDEX ON order_items (product_id);
COMMENT ON TABLE order_items IS 'The lines of an order; each is sent by the supplier of its product.';
COMMENT ON COLUMN order_items.unit_price IS 'EUR paid for one piece, discounts taken off.';
COMMENT ON COLUMN order_items.delivered_on IS 'When it arrived; late if after orders.promised_on; empty if not delivered.';

CREATE TABLE returns (
    id integer PRIMARY KEY,
    order_id integer NOT NULL,
    line smallint NOT NULL,
    returned_on date NOT NULL,
    reason return_reason NOT NULL,
    refund numeric(10, 2) NOT NULL,
    UNIQUE (order_id, line),
    FOREIGN KEY (order_id, line) REFERENCES order_items
);
COMMENT ON TABLE returns IS 'Order lines that were sent back.';

CREATE TABLE reviews (
    id integer PRIMARY KEY,
    product_id integer NOT NULL REFERENCES products,
    customer_id integer NOT NULL REFERENCES customers,
    rating smallint NOT NULL CHECK (rating BETWEEN 1 AND 5),
    body text NOT NULL,
    written_at timestamptz NOT NULL,
    UNIQUE (product_id, customer_id)
);
CREATE INDEX ON reviews (customer_id);
COMMENT ON TABLE reviews IS 'What customers wrote about products they bought.';

CREATE TABLE support_tickets (
    id integer PRIMARY KEY,
    customer_id integer NOT NULL REFERENCES customers,
    order_id integer REFERENCES orders,
    priority ticket_priority NOT NULL,
    subject text NOT NULL,
    body text NOT NULL,
    opened_at timestamptz NOT NULL,
    closed_at timestamptz CHECK (closed_at >= opened_at)
);
CREATE INDEX ON support_tickets (customer_id);
CREATE INDEX ON support_tickets (order_id);
COMMENT ON TABLE support_tickets IS 'Messages to customer support.';
COMMENT ON COLUMN support_tickets.closed_at IS 'Empty while the ticket is open.';

CREATE VIEW order_totals AS
    SELECT o.id AS order_id, o.customer_id, o.ordered_at, o.status,
           sum(i.quantity) AS pieces, sum(i.quantity * i.unit_price) AS total
    FROM orders o JOIN order_items i ON i.order_id = o.id
    GROUP BY o.id;
COMMENT ON VIEW order_totals IS 'Pieces and EUR of each order.';

CREATE VIEW monthly_sales AS
    SELECT date_trunc('month', o.ordered_at AT TIME ZONE 'UTC')::date AS month, p.category,
           count(DISTINCT o.id) AS orders, sum(i.quantity) AS pieces, sum(i.quantity * i.unit_price) AS revenue
    FROM orders o JOIN order_items i ON i.order_id = o.id JOIN products p ON p.id = i.product_id
    WHERE o.status <> 'cancelled'
    GROUP BY 1, 2;
COMMENT ON VIEW monthly_sales IS 'Orders, pieces and EUR by month and category, cancelled orders left out.';

CREATE VIEW supplier_punctuality AS
    SELECT s.id AS supplier_id, s.name, date_trunc('quarter', i.delivered_on)::date AS quarter,
           count(*) AS deliveries, count(*) FILTER (WHERE i.delivered_on > o.promised_on) AS late
    FROM order_items i
        JOIN orders o ON o.id = i.order_id
        JOIN products p ON p.id = i.product_id
        JOIN suppliers s ON s.id = p.supplier_id
    WHERE i.delivered_on IS NOT NULL
    GROUP BY s.id, quarter;
COMMENT ON VIEW supplier_punctuality IS 'Deliveries, and how many of them came late, by supplier and quarter.';
