"""Addresses of the shop."""

from django.urls import path

from example_project.shop import views
from example_project.shop.imports import views as imports
from example_project.shop.nightly import views as nightly
from example_project.shop.orders import views as orders
from example_project.shop.reports import views as reports
from example_project.shop.webhooks import targets
from example_project.shop.webhooks import views as webhooks

app_name = "shop"
urlpatterns = [
    path("", views.home, name="home"),
    path("campaigns/", views.start, name="start"),
    path("campaigns/<int:pk>/", views.campaign, name="campaign"),
    path("campaigns/<int:pk>/progress/", views.progress, name="progress"),
    path("webhooks/", webhooks.webhooks, name="webhooks"),
    path("webhooks/send/", webhooks.send, name="send"),
    path("webhooks/<int:pk>/retry/", webhooks.retry, name="retry"),
    path("partners/<int:pk>/switch/", webhooks.switch, name="switch"),
    path("partners/<slug:slug>/hook/", targets.hook, name="hook"),
    path("imports/", imports.imports, name="imports"),
    path("imports/sample.csv", imports.sample_file, name="sample"),
    path("imports/<int:pk>/", imports.one, name="import"),
    path("imports/<int:pk>/cancel/", imports.cancel, name="cancel-import"),
    path("imports/<int:pk>/resume/", imports.resume, name="resume-import"),
    path("reports/", reports.reports, name="reports"),
    path("reports/<int:pk>/", reports.one, name="report"),
    path("reports/<int:pk>/customers.csv", reports.download, name="download"),
    path("nightly/", nightly.nightly, name="nightly"),
    path("nightly/run/", nightly.run, name="nightly-run"),
    path("nightly/pause/", nightly.pause, name="nightly-pause"),
    path("nightly/resume/", nightly.resume, name="nightly-resume"),
    path("orders/", orders.orders, name="orders"),
    path("orders/place/", orders.place, name="place-order"),
    path("orders/<int:pk>/pay/", orders.pay, name="pay-order"),
    path("orders/<int:pk>/cancel/", orders.cancel, name="cancel-order"),
    path("enter/<str:token>/", views.enter, name="enter"),
]
