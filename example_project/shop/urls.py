"""Addresses of the shop."""

from django.urls import path

from example_project.shop import views

app_name = "shop"
urlpatterns = [
    path("", views.home, name="home"),
    path("campaigns/", views.start, name="start"),
    path("campaigns/<int:pk>/", views.campaign, name="campaign"),
    path("campaigns/<int:pk>/progress/", views.progress, name="progress"),
    path("enter/<str:token>/", views.enter, name="enter"),
]
